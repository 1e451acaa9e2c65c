//! Tests of the judgement of sessions.
