use std::io::ErrorKind;

use forebay_sim::{Action, Sim};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, say, scripted};

async fn start(sim: &Sim) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sim = sim.clone();
    tokio::spawn(async move { sim.serve(listener).await });
    address
}

#[tokio::test]
async fn sockets_are_served_reset_and_closed() {
    let sim = scripted(|call| match call.prompt {
        "reset" => Action::Reset,
        "cut" => Action::CutAfter(50),
        _ => Action::Answer,
    });
    let address = start(&sim).await;
    let connect = async || Client::over(TcpStream::connect(address).await.unwrap());

    let mut client = connect().await;
    assert_eq!(client.ask(say("one")).await.text(), "one");
    assert_eq!(client.ask(say("two")).await.text(), "two");
    client.send(say("reset")).await;
    let error = client.io.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let mut client = connect().await;
    client.send(say("cut")).await;
    assert_eq!(client.rest().await.len(), 50);
    assert_eq!((sim.stats().answered_ok, sim.stats().dropped), (2, 2));
}
