#include "chat_endpoint.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include <nlohmann/json.hpp>

#ifdef DAGUERRE_HAS_CURL
#include <curl/curl.h>
#endif

#include <daguerre/core/error.hpp>

#include "text.hpp"

namespace daguerre::cli {

bool is_address(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

#ifndef DAGUERRE_HAS_CURL

RewriteAnswer answer_by_service(const std::string& address, const std::string&) {
  throw ArgumentError("--rewrite",
                      address +
                          ": this program was built without libcurl and asks no services; give a "
                          "language model's folder or GGUF file");
}

#else

namespace {

constexpr const char* service_name = "service";
constexpr std::size_t most_reply_bytes = std::size_t{1} << 20;

[[noreturn]] void no_answer(const std::string& what) {
  throw Error(service_name, one_line(what));
}

/// What a transfer shares with libcurl's callbacks.
struct Transfer {
  std::string reply;
  bool too_large = false;
  std::stop_token stop;
};

std::size_t take_reply(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  if (transfer.reply.size() + bytes > most_reply_bytes) {
    transfer.too_large = true;
    return 0;
  }
  transfer.reply.append(data, bytes);
  return bytes;
}

int watch_transfer(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->stop.stop_requested() ? 1 : 0;
}

bool is_this_machine(const std::string& address) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parts(curl_url(), &curl_url_cleanup);
  char* host = nullptr;
  if (!parts || curl_url_set(parts.get(), CURLUPART_URL, address.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parts.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK)
    throw ArgumentError("--rewrite", address + " is no address");
  const std::string name = host;
  curl_free(host);
  // 127.example.com is another machine.
  const bool is_loopback =
      name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string::npos;
  return name == "localhost" || name == "[::1]" || is_loopback;
}

std::string question_body(const RewriteQuestion& question, const std::string& model) {
  return nlohmann::json{{"model", model},
                        {"messages",
                         {{{"role", "system"}, {"content", question.system_message()}},
                          {{"role", "user"}, {"content", question.user_message()}}}},
                        {"max_tokens", std::min<std::size_t>(question.max_words, 10'000) * 4 + 32},
                        {"seed", question.seed % 2147483648u},
                        {"stream", false}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The part of a reply that is looked for; nullptr where it is not there.
const std::string* text_at(const nlohmann::json& reply, const char* pointer) {
  const nlohmann::json::json_pointer place(pointer);
  if (!reply.contains(place)) return nullptr;
  return reply.at(place).get_ptr<const std::string*>();
}

std::string answer_in(const std::string& reply, long status) {
  const auto json = nlohmann::json::parse(reply, nullptr, false);
  if (status >= 300 && status < 400)
    no_answer("status " + std::to_string(status) +
              ": the address leads to another one, which is not followed");
  if (status != 200) {
    const auto* message = json.is_discarded() ? nullptr : text_at(json, "/error/message");
    no_answer("status " + std::to_string(status) + (message ? ": " + message->substr(0, 200) : ""));
  }
  if (json.is_discarded()) no_answer("the reply is no JSON: " + reply.substr(0, 100));
  const auto* content = text_at(json, "/choices/0/message/content");
  if (content == nullptr) no_answer("the reply has no choices[0].message.content: " + reply.substr(0, 100));
  const auto* reason = text_at(json, "/choices/0/finish_reason");
  if (reason != nullptr && *reason == "length") no_answer("the answer did not come to an end");
  return *content;
}

}  // namespace

RewriteAnswer answer_by_service(const std::string& address, const std::string& model) {
  curl_global_init(CURL_GLOBAL_DEFAULT);  // here, because before 7.84 no other thread may
  const char* key = std::getenv("DAGUERRE_API_KEY");
  const bool near = is_this_machine(address);
  if (key != nullptr && *key != '\0' && !near && !address.starts_with("https://"))
    throw ArgumentError("--rewrite", address +
                                         ": the key in DAGUERRE_API_KEY would go over the net as it is; use "
                                         "https://, or unset it");
  std::string url = address;
  while (url.ends_with('/')) url.pop_back();
  if (!url.ends_with("/chat/completions")) url += "/chat/completions";
  const std::string authorization =
      key != nullptr && *key != '\0' ? std::string("Authorization: Bearer ") + key : "";
  return [=](const RewriteQuestion& question) {
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), &curl_easy_cleanup);
    if (!handle) no_answer("libcurl cannot be used");
    Transfer transfer{{}, false, question.stop};
    const auto body = question_body(question, model);
    curl_slist* list = curl_slist_append(nullptr, "Content-Type: application/json");
    if (!authorization.empty()) list = curl_slist_append(list, authorization.c_str());
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, &curl_slist_free_all);
    auto* const curl = handle.get();
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // this is not the program's only thread
    if (near) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10'000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(std::ceil(question.time_limit * 1000.0)));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_reply);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &watch_transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    const auto code = curl_easy_perform(curl);
    if (transfer.too_large) no_answer("the reply is larger than a mebibyte");
    if (code != CURLE_OK) no_answer(curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return answer_in(transfer.reply, status);
  };
}

#endif

}  // namespace daguerre::cli
