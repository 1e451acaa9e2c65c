//! Tests on trees as nasty as file systems allow.
