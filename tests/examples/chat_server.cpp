// A service that speaks OpenAI's protocol, as well or badly as the first part of the path says, at a port of
// 127.0.0.1 that is free. Ends by itself after five minutes.
//
//     chat_server PORT_FILE

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct HttpRequest {
  std::string path, headers, body;
};

/// What follows `name` in the headers, up to the line's end.
std::string header_of(const HttpRequest& request, const std::string& name) {
  const auto begin = request.headers.find("\r\n" + name + ": ");
  if (begin == std::string::npos) return {};
  const auto value = begin + name.size() + 4;
  return request.headers.substr(value, request.headers.find("\r\n", value) - value);
}

HttpRequest receive(int connection) {
  HttpRequest request;
  std::string text;
  std::size_t wanted = std::string::npos;
  char buffer[4096];
  while (text.size() < wanted) {
    const auto count = ::read(connection, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos || wanted != std::string::npos) continue;
    request.headers = text.substr(0, end + 2);
    const auto length = header_of(request, "Content-Length");
    wanted = end + 4 + (length.empty() ? 0 : std::stoul(length));
  }
  if (wanted == std::string::npos) return request;
  request.body = text.substr(request.headers.size() + 2);
  const auto begin = request.headers.find(' ') + 1;
  request.path = request.headers.substr(begin, request.headers.find(' ', begin) - begin);
  return request;
}

std::string reply(const std::string& status, const std::string& body, const std::string& header = {}) {
  return "HTTP/1.1 " + status + "\r\n" + header +
         "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string answer(const std::string& content, const std::string& reason = "stop") {
  return reply(
      "200 OK",
      nlohmann::json{{"choices", {{{"message", {{"content", content}}}, {"finish_reason", reason}}}}}.dump());
}

std::string reply_to(const HttpRequest& request) {
  const auto how = request.path.substr(1, request.path.find('/', 1) - 1);
  if (request.path != "/" + how + "/v1/chat/completions") return reply("404 Not Found", "");
  if (how == "key") return answer(header_of(request, "Authorization"));
  if (how == "endless") return answer("and on and on", "length");
  if (how == "busy") return reply("429 Too Many Requests", R"({"error": {"message": "slow down"}})");
  if (how == "page") return reply("200 OK", "<html>");
  if (how == "nothing") return reply("200 OK", R"({"choices": []})");
  if (how == "large") return reply("200 OK", std::string(3'000'000, 'x'));
  if (how == "elsewhere") return reply("302 Found", "", "Location: file:///etc/hostname\r\n");
  if (how == "silent") return "";
  if (how == "slow") std::this_thread::sleep_for(std::chrono::seconds(2));
  const auto json = nlohmann::json::parse(request.body);
  const auto& messages = json.at("messages");
  return answer("Here is the prompt:\n\n\"" + json.at("model").get<std::string>() + " by " +
                messages.at(0).at("role").get<std::string>() + ": " +
                messages.at(1).at("content").get<std::string>() + ", seed " + json.at("seed").dump() + "\"");
}

void serve(int connection) {
  std::string text;
  try {
    text = reply_to(receive(connection));
  } catch (const std::exception& error) {
    text = reply("500 Internal Server Error", error.what());
  }
  for (std::size_t sent = 0; sent < text.size();) {
    const auto count = ::write(connection, text.data() + sent, text.size() - sent);
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  ::close(connection);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  ::alarm(300);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 16) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("chat_server");
    return 1;
  }
  const std::filesystem::path file = argv[1];
  auto half = file;
  half += ".half";
  std::ofstream(half) << ntohs(address.sin_port) << "\n";
  std::filesystem::rename(half, file);
  for (int connection; (connection = ::accept(listener, nullptr, nullptr)) >= 0;)
    std::thread(serve, connection).detach();
}
