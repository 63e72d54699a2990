//! `tqdm`: a bar that moves with each answer, whatever their order is.

use forebay::Client;
use indicatif::ProgressBar;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let bar = ProgressBar::new(100);
    let requests = (0..100).map(|n| client.chat("gpt-4o-mini").user(format!("Name {n}.")));
    let mut replies = client.batch(requests).as_completed();
    let mut tokens = 0;
    while let Some((_, reply)) = replies.next().await {
        tokens += reply?.usage.map_or(0, |usage| usage.output_tokens);
        bar.inc(1);
    }
    bar.finish();
    println!("{} answers, {} tokens", bar.position(), tokens);
    Ok(())
}
