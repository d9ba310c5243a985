#!/usr/bin/env node
// `npm run demo`: installs if needed, then plays the scenario. See scripts/demo.ts.
import { continueIn, ensureInstalled } from "./bootstrap.js";

ensureInstalled();
continueIn("scripts/demo.ts");
