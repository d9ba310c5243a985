/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "hQbG2V9Zro_FNui1PM8_uuLt827Vmo1z6jGztd52dvY";
