//! Names of tools, servers, actions and arguments.

/// Whether `text` is 1..=`most` bytes, all of which `fits`.
fn spelled(text: &str, most: usize, fits: impl Fn(u8) -> bool) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(fits)
}

fn mcp(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// `[a-z0-9][a-z0-9-]{0,62}`
#[must_use]
pub fn is_server(text: &str) -> bool {
    !text.starts_with('-')
        && spelled(text, 63, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `server/name`, where the name is in MCP's characters, or `@resource`, or `@prompt/<name>`.
#[must_use]
pub fn is_tool(text: &str) -> bool {
    let Some((server, name)) = text.split_once('/') else { return false };
    is_server(server) && (name == "@resource" || spelled(name.strip_prefix("@prompt/").unwrap_or(name), 128, mcp))
}

/// The server of a tool.
#[must_use]
pub fn server_of(tool: &str) -> &str {
    tool.split_once('/').map_or(tool, |(server, _)| server)
}

/// `[a-z0-9_.-]{1,64}`
#[must_use]
pub fn is_action(text: &str) -> bool {
    spelled(text, 64, |byte| mcp(byte) && !byte.is_ascii_uppercase())
}

/// `[A-Za-z0-9_.-]{1,128}`
#[must_use]
pub fn is_argument(text: &str) -> bool {
    spelled(text, 128, mcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_one_name_on_one_server() {
        let long = format!("s/{}", "n".repeat(128));
        for tool in [
            "fs/read_file",
            "a1-b/Tool.Name-2",
            "everything/@resource",
            "everything/@prompt/simple",
            "talos/audit.events",
            &long,
        ] {
            assert!(is_tool(tool), "{tool}");
        }
        let longer = format!("{long}n");
        for tool in [
            "",
            "fs",
            "fs/",
            "/x",
            "-a/x",
            "A/x",
            "a_b/x",
            "fs/*",
            "*/x",
            "fs/a/b",
            "fs/@resources",
            "fs/@prompt",
            "fs/@prompt/",
            "fs/@prompt/a/b",
            "fs/@prompt/@resource",
            "fs/x:y",
            "fs/é",
            "fs/a b",
            "a//x",
            &longer,
        ] {
            assert!(!is_tool(tool), "{tool}");
        }
        assert!(is_server(&"a".repeat(63)) && !is_server(&"a".repeat(64)));
        assert_eq!(server_of("fs/@prompt/a"), "fs");
    }

    #[test]
    fn actions_and_arguments_have_their_characters_and_lengths() {
        assert!(is_action("call") && is_action("a_.-9") && is_action(&"a".repeat(64)));
        assert!(!is_action("") && !is_action("Call") && !is_action("*") && !is_action(&"a".repeat(65)));
        assert!(is_argument("Path_1.x-y") && is_argument(&"a".repeat(128)));
        assert!(!is_argument("") && !is_argument("a b") && !is_argument("é") && !is_argument(&"a".repeat(129)));
    }
}
