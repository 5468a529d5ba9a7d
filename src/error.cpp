#include "daguerre/error.hpp"

namespace daguerre {
namespace {

std::string compose(std::string_view who, std::string_view message) {
  std::string text = "[";
  text.append(who).append("] ").append(message);
  return text;
}

}  // namespace

Error::Error(std::string_view who, std::string_view message) : std::runtime_error(compose(who, message)) {}

}  // namespace daguerre
