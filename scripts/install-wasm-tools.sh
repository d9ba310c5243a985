#!/bin/sh
# Install the tools that build the core, at the versions that crypto-wasm/pkg/build.json records. Skips what is there.
set -eu

WASM_PACK=0.15.1
WASM_BINDGEN=0.2.130
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

has() { command -v "$1" >/dev/null 2>&1 && [ "$("$1" --version)" = "$1 $2" ]; }

cd "$(dirname "$0")/.."
rustup target add wasm32-unknown-unknown

if has wasm-pack "$WASM_PACK"; then echo "wasm-pack $WASM_PACK: there"; else
  cargo install wasm-pack --version "=$WASM_PACK" --locked
fi
# Without --locked: the lock file of this release names a crate version that registries no longer serve.
if has wasm-bindgen "$WASM_BINDGEN"; then echo "wasm-bindgen $WASM_BINDGEN: there"; else
  cargo install wasm-bindgen-cli --version "=$WASM_BINDGEN"
fi
