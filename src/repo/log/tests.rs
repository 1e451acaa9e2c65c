//! Tests of the log: its bytes, its rules, its reading, its damage.

mod bytes;
mod damage;
mod growing;
mod rules;
