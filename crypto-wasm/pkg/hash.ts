/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "0pB0F6letZKAH9NL9SlwvW18T-UvkLWoZSfF5vnkS7M";
