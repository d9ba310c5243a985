//! What later steps need to know of an authenticated request: admission, record, upstream.
//!
//! The shape is `RequestFacts` in crypto-wasm/types.ts.

use super::asked::{About, Asked, Call};
use super::judge;
use super::party::Party;
use crate::contract::Surface;
use crate::decide::Decision;
use crate::grant::Class;
use crate::json::{self, Value};
use crate::policy::Policy;
use crate::{b64, hash};

/// What is known of an authenticated request. Nothing of it is printed before somebody asks.
pub struct Facts<'a> {
    pub(super) policy: &'a Policy,
    pub(super) surface: &'static Surface,
    pub(super) party: Party,
    pub(super) asked: Asked,
    /// Of a batch: one decision an item.
    pub(super) each: Vec<Decision>,
    /// The body that the party sent.
    pub(super) body: &'a [u8],
}

fn text(text: &str) -> Value {
    Value::str(text)
}

fn needs(policy: &Policy, calls: &[Call]) -> Value {
    let need = |call: &Call| match judge::entry(policy, call) {
        Some(entry) => judge::need(call, &entry).value(None),
        // Unknown to the registry: what was asked, under the class that a refusal is admitted with.
        None => Value::obj([
            ("tool", text(&call.tool)),
            ("class", text(Class::Read.as_str())),
            ("action", text(&call.action)),
        ]),
    };
    Value::Arr(calls.iter().map(need).collect())
}

impl Facts<'_> {
    pub(super) fn calls(&self) -> &[Call] {
        if let About::Calls(calls) = &self.asked.about { calls } else { &[] }
    }

    /// The highest class that is asked for.
    pub(super) fn class(&self) -> Class {
        judge::class(self.policy, &self.asked.about).unwrap_or(Class::Read)
    }

    /// The facts as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        let Self { policy, surface, party, asked, each, body } = self;
        let lineage = party.lineage();
        let calls = self.calls();
        let rates = judge::rate_classes(policy, surface, &asked.about);
        let (_, not_after) = party.times();
        let integer = |number: u64| Value::Int(i64::try_from(number).unwrap_or(json_max()));
        let mut members = vec![
            ("form", text(party.proof.form.name())),
            ("class", text(self.class().as_str())),
            ("needs", needs(policy, calls)),
            ("rate_class", rates.first().map_or(Value::Null, |rate| text(rate))),
            ("rate_classes", Value::Arr(rates.into_iter().map(text).collect())),
            ("links", Value::Arr(lineage.links.iter().map(|link| text(&link.id)).collect())),
            ("root_link", text(lineage.links.first().map_or("", |link| link.id.as_str()))),
            ("sub", text(&lineage.sub)),
            ("root_sub", text(&lineage.root_sub)),
            ("anchor", text(lineage.anchor())),
            ("jkt", text(&lineage.holder_jkt)),
            ("nonce", text(&party.proof.params.nonce)),
            ("expires", integer(party.proof.params.expires)),
            ("proof_hash", Value::Str(party.proof.hash())),
            ("capability_hash", Value::Str(party.credential_hash())),
            ("request_hash", Value::Str(hash::sha256_b64(body))),
            ("writes", Value::Bool(party.writes())),
            ("not_after", Value::Int(not_after)),
            ("receipt", Value::Bool(asked.receipt)),
        ];
        if !each.is_empty() {
            members.push(("decisions", Value::Arr(each.iter().map(|decision| decision.value(true)).collect())));
        }
        if let Some(open) = party.session() {
            members.push(("session_id", Value::Str(b64::encode(&open.ticket.session_id))));
        }
        if let [call] = calls {
            members.push(("args_json", Value::Str(json::print_members(&call.args))));
            members.extend(judge::keep(policy, call).map(|keep| ("keep", text(keep.as_str()))));
        }
        if let Some(message) = &asked.message {
            let mut mcp = vec![("kind", text(message.kind.name())), ("call", Value::Bool(message.is_call()))];
            let printed = |value: &Value| Value::Str(json::print(value));
            mcp.extend(message.method.as_deref().map(|method| ("method", text(method))));
            mcp.extend(message.name.as_deref().map(|name| ("name", text(name))));
            mcp.extend(message.id.as_ref().map(|id| ("id_json", printed(id))));
            mcp.extend(message.progress_token.as_ref().map(|token| ("progress_token_json", printed(token))));
            members.push(("mcp", Value::obj(mcp)));
        }
        Value::obj(members)
    }
}

const fn json_max() -> i64 {
    crate::limits::MAX_SAFE_INTEGER
}
