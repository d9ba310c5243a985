/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "Zdvyt1I7sPuMZVz7YuqTAF8_juVYfTOuX7ht6_AbYks";
