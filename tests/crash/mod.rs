//! Nothing that fails, is forgotten or dies on the way costs what was acknowledged, or needs a hand to clean up.
//!
//! Every call of the store and every changing call of the disk is made to go wrong in turn, in each act that writes:
//! before it acts, after it acted, as the last call before the power goes, as a sync that does nothing. Then the act is done
//! again, the next snapshot succeeds, every snapshot holds what it held, and verify finds nothing.
//! All calls are tried with `BOVEDA_TEST_FULL=1`, else every few of them.

/// A test for each act.
macro_rules! acts {
    ($proof:path) => {
        acts! { $proof, founding Found }
        acts! { $proof, the_first_snapshot FirstSnapshot }
        acts! { $proof, a_later_snapshot SecondSnapshot }
        acts! { $proof, a_long_snapshot LongSnapshot }
        acts! { $proof, a_new_principal AddMember }
        acts! { $proof, the_end_of_a_principal Revoke }
        acts! { $proof, a_new_slot AddSlot }
        acts! { $proof, the_end_of_a_slot RemoveSlot }
        acts! { $proof, a_forgetting Forget }
        acts! { $proof, a_return_of_what_was_forgotten Unforget }
        acts! { $proof, a_prune Prune }
        acts! { $proof, a_forgetting_with_a_prune ForgetAndPrune }
    };
    ($proof:path, $name:ident $act:ident) => {
        #[test]
        fn $name() {
            $proof($crate::crash::site::Act::$act);
        }
    };
}

mod disk;
mod forgetting;
mod keys;
mod races;
mod site;
mod store;

/// Every how manieth call is tried: `stride` of them, or each one at full scale.
fn stride(stride: usize) -> usize {
    if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 1 } else { stride }
}
