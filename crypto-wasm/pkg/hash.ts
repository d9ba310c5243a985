/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "0UIL2pjZDJvpWCYQi11EYG8bla10bKsJuKFkr0jL5VU";
