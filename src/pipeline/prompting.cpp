#include "daguerre/pipeline/prompting.hpp"

#include <array>
#include <string>
#include <utility>

#include "daguerre/core/error.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

constexpr std::array syntax_names{
    std::pair{PromptSyntax::plain, "plain"}, std::pair{PromptSyntax::a1111, "a1111"},
    std::pair{PromptSyntax::comfyui, "comfyui"}, std::pair{PromptSyntax::compel, "compel"}};
constexpr std::array emphasis_names{std::pair{Emphasis::original, "Original"},
                                    std::pair{Emphasis::no_norm, "No norm"},
                                    std::pair{Emphasis::ignore, "Ignore"}, std::pair{Emphasis::none, "None"}};

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

template <class Names>
auto value_named(const Names& names, std::string_view name, const char* what) {
  std::string all;
  for (const auto& [value, known] : names) {
    if (lower_case(known) == lower_case(name)) return value;
    all += (all.empty() ? "" : ", ") + std::string(known);
  }
  throw ArgumentError(pipeline_name,
                      std::string(what) + " \"" + std::string(name) + "\" is not one of " + all);
}

template <class Names, class Value>
std::string_view name_in(const Names& names, Value value) {
  for (const auto& [known, name] : names)
    if (known == value) return name;
  return "";
}

}  // namespace

std::string_view name_of(PromptSyntax syntax) noexcept {
  return name_in(syntax_names, syntax);
}
PromptSyntax prompt_syntax(std::string_view name) {
  return value_named(syntax_names, name, "prompt syntax");
}
std::string_view name_of(Emphasis emphasis) noexcept {
  return name_in(emphasis_names, emphasis);
}
Emphasis emphasis(std::string_view name) {
  return value_named(emphasis_names, name, "emphasis");
}

}  // namespace daguerre
