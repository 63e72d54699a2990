//! `tenacity`: failed attempts are made again by themselves; here they are shown.

use forebay::Client;
use forebay::client::CallEvent;
use forebay::config::RetrySettings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retry = RetrySettings {
        max_attempts: 4,
        ..RetrySettings::default()
    };
    let client = Client::builder().env().retry(retry).build()?;
    // The simulator refuses this model's first two attempts; a real one does so at times.
    let request = client.chat("openai/fault-503:2").user("Are you there?");
    let request = request.on_event(|event| {
        if let CallEvent::AttemptFailedWillRetry { failure, .. } = event {
            println!("again after: {}", failure.kind.label());
        }
    });
    println!("answered at attempt {}", request.send().await?.attempts);
    Ok(())
}
