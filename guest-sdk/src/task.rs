//! Work beside the call and after it.

use std::future::Future;

/// Runs `work` beside this call. It may go on after the result has been delivered, within the plugin's `background` limits.
///
/// It begins when the current call next waits or ends.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn_local(work);
}
