/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "5TIMD5tNPihSy6EZPlh3Tx_qmGhu18xgDzS4vtKrVck";
