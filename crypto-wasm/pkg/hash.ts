/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "9lmgKyjE9BPYUhLQJ8A8WIe8QdJb6bs-dZoa2J9ABbQ";
