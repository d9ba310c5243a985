/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "UYY1mpyJFn9lkc5DXqdk7U20n_Sa9FOks3poiKlVd5o";
