//! Threads that post offers and delete sessions, so that a slow answer holds nobody else up.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};

use crate::http::{Client, Response};

/// A request to be made for session `number`.
pub struct Order {
    pub number: usize,
    pub method: &'static str,
    pub url: String,
    pub token: String,
    pub body: String,
}

/// What came back for session `number`.
pub struct Reply {
    pub number: usize,
    pub method: &'static str,
    pub outcome: Result<Response, String>,
}

pub struct Joiner {
    orders: Sender<Order>,
    replies: Receiver<Reply>,
}

impl Joiner {
    pub fn new(threads: usize) -> Self {
        let (orders, waiting) = channel::<Order>();
        let (done, replies) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let (waiting, done) = (Arc::clone(&waiting), done.clone());
            std::thread::spawn(move || {
                let mut client = Client::default();
                loop {
                    let order = waiting.lock().expect("no joiner panics with the queue").recv();
                    let Ok(order) = order else { return };
                    let outcome = client.request(order.method, &order.url, &order.token, &order.body);
                    if done.send(Reply { number: order.number, method: order.method, outcome }).is_err() {
                        return;
                    }
                }
            });
        }
        Self { orders, replies }
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order).expect("joiner threads live as long as this");
    }

    pub fn reply(&self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }
}
