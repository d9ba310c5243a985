/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */
export const CORE_HASH = "vnfCLsJ5q31n9WQTKDAPgJw0YLPqwOh34CQcPsyBn9U";
