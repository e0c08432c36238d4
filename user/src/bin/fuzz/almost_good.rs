//! Calls that get past the first checks: all arguments are good, but for one or two.

use crate::values::Victim;
use rt::{dice::Dice, gates::raw_int80, good_calls::POINTER};

/// Makes a call with good arguments, but for the pointer and perhaps one more.
pub fn call(dice: &mut Dice, victim: &mut Victim) {
    let Some((_, number, mut arguments)) = victim.good_call(dice) else {
        return;
    };
    for argument in &mut arguments {
        if *argument == POINTER || dice.once_in(12) {
            *argument = victim.argument(dice);
        }
    }
    let _ = raw_int80(number, arguments);
}
