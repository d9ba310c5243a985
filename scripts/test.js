#!/usr/bin/env node
// `npm test`: installs if needed, then runs everything that this machine can run. See scripts/test.ts.
import { continueIn, ensureInstalled } from "./bootstrap.js";

ensureInstalled();
continueIn("scripts/test.ts");
