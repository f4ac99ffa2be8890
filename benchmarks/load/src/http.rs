//! As much of an HTTP/1.1 client as a WHIP or WHEP join needs: one request at a time on a kept connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A kept connection to one authority (`host:port`).
#[derive(Default)]
pub struct Client {
    open: Option<(String, BufReader<TcpStream>)>,
}

pub struct Response {
    pub status: u16,
    pub location: String,
    /// Seconds after which to ask again, where the server said so (RFC 9110 §10.2.3; the form with a date is not read).
    pub retry_after_s: Option<f64>,
    pub body: String,
}

impl Response {
    /// The status and the beginning of the body.
    pub fn sentence(&self) -> String {
        format!("{} {}", self.status, self.body.chars().take(200).collect::<String>())
    }
}

impl Client {
    /// Sends the request; once more on a fresh connection where the kept one had been closed by the server.
    pub fn request(&mut self, method: &str, url: &str, token: &str, body: &str) -> Result<Response, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("only http:// is spoken: {url}"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let request = format!(
            "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if let Some((kept, mut stream)) = self.open.take().filter(|(kept, _)| kept == authority) {
            if let Ok(response) = exchange(&mut stream, &request) {
                self.open = Some((kept, stream));
                return Ok(response);
            }
        }
        let stream = TcpStream::connect(authority).map_err(|error| format!("connect to {authority}: {error}"))?;
        stream.set_read_timeout(Some(TIMEOUT)).and_then(|()| stream.set_nodelay(true)).map_err(|e| e.to_string())?;
        let mut stream = BufReader::new(stream);
        let response = exchange(&mut stream, &request).map_err(|error| format!("{method} {url}: {error}"))?;
        self.open = Some((authority.to_owned(), stream));
        Ok(response)
    }
}

fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> std::io::Result<Response> {
    stream.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
    let (mut length, mut location, mut retry_after_s) = (0, String::new(), None);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "location" => value.trim().clone_into(&mut location),
            "retry-after" => retry_after_s = value.trim().parse::<u32>().ok().map(f64::from),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Response { status, location, retry_after_s, body: String::from_utf8_lossy(&body).into_owned() })
}
