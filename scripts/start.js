#!/usr/bin/env node
// `npm start`: installs if needed, then brings the local stack up. See scripts/dev.ts.
import { continueIn, ensureInstalled } from "./bootstrap.js";

ensureInstalled();
continueIn("scripts/dev.ts");
