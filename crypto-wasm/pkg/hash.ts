/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "Gt8AQjxnPayawe7grEFDRe7EgM4UWZ_5E4hxnNChy3Q";
