//! A reader of the old snapshot: pins it, **then** reads the log and refuses what is forgotten (I12).

use super::Steps;
use crate::broken::Broken;
use crate::state::{OLD, Reader};
use crate::view::View;
use crate::words::Step;

pub fn steps(view: &View, steps: &mut Steps) {
    let late = view.breaks(Broken::PinsAfterLog);
    match view.state.reader {
        _ if !view.setup.reader => {}
        Reader::Idle if late => read_log(view, Reader::Begun, steps),
        Reader::Idle => pin(view, Reader::Begun, steps),
        Reader::Begun if late => pin(view, Reader::Reads, steps),
        Reader::Begun => read_log(view, Reader::Reads, steps),
        Reader::Reads => unpin(view, Step::Unpins, steps),
        Reader::Over => {}
    }
}

fn pin(view: &View, then: Reader, steps: &mut Steps) {
    let mut next = *view.state;
    (next.pin, next.reader) = (true, then);
    steps.go(Step::Pins, next);
}

fn read_log(view: &View, then: Reader, steps: &mut Steps) {
    if !view.state.forgotten.has(OLD) {
        let mut next = *view.state;
        next.reader = then;
        steps.go(Step::ReaderReadsLog, next);
    } else if view.state.reader == Reader::Begun {
        unpin(view, Step::Refuses, steps);
    }
}

fn unpin(view: &View, step: Step, steps: &mut Steps) {
    let mut next = *view.state;
    (next.pin, next.reader) = (false, Reader::Over);
    steps.go(step, next);
}
