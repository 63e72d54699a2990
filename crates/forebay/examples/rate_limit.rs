//! A token bucket: requests and tokens per minute are kept to, without bursts.

use forebay::{Client, config::Limits};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits {
        rpm: Some(3_000.0),
        tpm: Some(400_000.0),
        ..Limits::default()
    };
    let client = Client::builder().env().limits(limits).build()?;
    let began = std::time::Instant::now();
    let fact = |n| client.chat("gpt-4o-mini").user(format!("Fact {n}?"));
    let replies = client.batch((0..60).map(fact)).collect().await;
    let n_ok = replies.iter().flatten().count();
    println!("{n_ok} answers, 50 a second at the most");
    eprintln!("{:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
