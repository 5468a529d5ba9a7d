#include "daguerre/core/error.hpp"

#include <algorithm>

namespace daguerre {
namespace {

/// What a file says is quoted in messages; one of a megabyte must not flood the host's log.
constexpr std::size_t longest_message = 3000;

std::string compose(std::string_view who, std::string_view message) {
  std::size_t end = std::min(message.size(), longest_message);
  // Not in the middle of a UTF-8 sequence.
  if (end < message.size())
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  std::string text = "[";
  text.append(who).append("] ").append(message.substr(0, end));
  return end < message.size() ? text + "…" : text;
}

}  // namespace

Error::Error(std::string_view who, std::string_view message)
    : std::runtime_error(compose(who, message)), who_size_(who.size()) {}

}  // namespace daguerre
