#!/usr/bin/env node
// `npm run evidence`: installs if needed, then everything that takes too long for `npm test`. See scripts/evidence.ts.
import { continueIn, ensureInstalled } from "./bootstrap.js";

ensureInstalled();
continueIn("scripts/evidence.ts");
