#!/usr/bin/env node
// `npm run check`: what CI runs. See scripts/check.ts.
import { continueIn, ensureInstalled } from "./bootstrap.js";

ensureInstalled();
continueIn("scripts/check.ts");
