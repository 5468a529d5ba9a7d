#include "daguerre/core/error.hpp"

#include <algorithm>
#include <new>

#include "daguerre/core/expected.hpp"

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

Failure failure_of(const Error& error, ErrorKind kind) {
  return {kind, error.who(), error.message(), error.path()};
}

/// Its texts are short enough to take none.
Failure out_of_memory() noexcept {
  return {ErrorKind::memory, "memory", "there is none", {}};
}

}  // namespace

Error::Error(std::string_view who, std::string_view message, const std::filesystem::path& file)
    : std::runtime_error(compose(who, message)), who_size_(who.size()) {
  set_path(file);
}

void Error::set_path(const std::filesystem::path& file) {
  if (path_ == nullptr && !file.empty()) path_ = std::make_shared<const std::filesystem::path>(file);
}

Failure current_failure() noexcept {
  try {
    try {
      throw;
    } catch (const FileError& error) {
      return failure_of(error, ErrorKind::file);
    } catch (const FormatError& error) {
      return failure_of(error, ErrorKind::format);
    } catch (const ConfigError& error) {
      return failure_of(error, ErrorKind::config);
    } catch (const WeightError& error) {
      return failure_of(error, ErrorKind::weights);
    } catch (const ArgumentError& error) {
      return failure_of(error, ErrorKind::argument);
    } catch (const NumericError& error) {
      return failure_of(error, ErrorKind::numeric);
    } catch (const Cancelled& error) {
      return failure_of(error, ErrorKind::cancelled);
    } catch (const Error& error) {
      return failure_of(error, ErrorKind::other);
    } catch (const std::bad_alloc&) {
      return out_of_memory();
    } catch (const std::exception& error) {
      return {ErrorKind::other, "exception", error.what(), {}};
    } catch (...) {
      return {ErrorKind::other, "exception", "of no known type", {}};
    }
  } catch (...) {
    return out_of_memory();  // there was none for the record either
  }
}

}  // namespace daguerre
