//! Edits the URL of each generated operation.

use syn::{ImplItem, Item, Pat, Stmt, parse_quote};

use crate::failure::{Failure, Result};

/// Changes `let url = format!("{}/v1/{}", self.baseurl, …)` to
/// `let url = self.inner.url(format!(…))`.
///
/// Each call then appends its path to the base URL, which is parsed once, instead of parsing a whole
/// URL.
pub fn join(items: &mut [Item], operations: usize) -> Result<()> {
    let functions = items.iter_mut().filter_map(|item| match item {
        Item::Impl(item) => Some(&mut item.items),
        _ => None,
    });
    let statements = functions.flatten().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(&mut function.block.stmts),
        _ => None,
    });
    let mut found = 0;
    for statement in statements.flatten() {
        if let Stmt::Local(local) = statement
            && matches!(&local.pat, Pat::Ident(name) if is_url(&name.ident))
            && let Some(value) = &mut local.init
        {
            let text = &value.expr;
            *value.expr = parse_quote!(self.inner.url(#text));
            found += 1;
        }
    }
    if found == operations {
        return Ok(());
    }
    let reason = format!("{found} of {operations} operations make their URL as expected");
    Err(Failure::changed(reason))
}

/// Returns whether a variable is the URL; the generator adds `_` if an argument is called `url`.
fn is_url(name: &syn::Ident) -> bool {
    name.to_string().trim_start_matches('_') == "url"
}
