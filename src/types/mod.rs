//! The few types that schemas of the document become.

mod finite;
#[cfg(feature = "schemars")]
mod json_schema;
mod nullable;
mod one_of;
mod open_enum;
mod phone;
mod secret;

#[allow(unused_imports, reason = "generated code, if the document has one")]
pub(crate) use finite::finite;
#[cfg(feature = "schemars")]
pub(crate) use json_schema::json_schema;
pub use nullable::Nullable;
#[allow(unused_imports, reason = "generated code, if the document has one")]
pub(crate) use nullable::present;
#[allow(unused_imports, reason = "generated code, if the document has one")]
pub(crate) use one_of::one_of;
#[allow(unused_imports, reason = "generated code, if the document has one")]
pub(crate) use open_enum::open_enum;
pub use phone::{E164, ParseE164Error, ReportedNumber};
pub(crate) use secret::Hidden;
pub use secret::Secret;
