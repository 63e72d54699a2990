//! Without async: threads share one client, and with it its connections and limits.

use forebay::blocking::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let texts = ["first", "second", "third", "fourth"];
    std::thread::scope(|scope| {
        let threads = texts.map(|text| {
            let client = client.clone();
            scope.spawn(move || client.chat("gpt-4o-mini").user(text).send())
        });
        for (text, thread) in texts.iter().zip(threads) {
            match thread.join() {
                Ok(Ok(reply)) => println!("{text}: {}", reply.text),
                Ok(Err(failure)) => println!("{text}: {failure}"),
                Err(_) => println!("{text}: the thread panicked"),
            }
        }
    });
    client.close();
    Ok(())
}
