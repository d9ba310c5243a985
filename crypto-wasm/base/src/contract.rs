//! What the contract generates for this crate: bounds, codes, the table of surfaces and the contract's hash.
//!
//! Source: contracts/gen/contracts.rs.

include!("../../../contracts/gen/contracts.rs");

/// The surface called `name`.
#[must_use]
pub fn surface(name: &str) -> Option<&'static Surface> {
    SURFACES.iter().find(|surface| surface.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn every_code_of_the_core_is_one_of_the_contract() {
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text == "OK" || ERROR_CODES.contains(&text), "{text}");
        }
    }

    #[test]
    fn surfaces_are_found_by_name() {
        assert_eq!(surface("mcp.post").map(|surface| surface.method), Some("POST"));
        assert!(surface("mcp.none").is_none());
    }
}
