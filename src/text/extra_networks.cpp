#include "daguerre/text/extra_networks.hpp"

#include <charconv>

#include "daguerre/core/error.hpp"
#include "text/prompt_text.hpp"

namespace daguerre::text {
namespace {

std::vector<std::string_view> parts_between(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

ExtraNetwork network_of(std::string_view kind, std::string_view arguments) {
  ExtraNetwork network{std::string(kind), {}, {}};
  for (const auto item : parts_between(arguments, ':')) {
    const auto pair = parts_between(item, '=');
    if (pair.size() == 2)
      network.named[std::string(pair[0])] = pair[1];
    else
      network.positional.emplace_back(item);
  }
  return network;
}

std::string tag_text(const ExtraNetwork& network) {
  std::string text = network.kind;
  for (const auto& value : network.positional) text += ":" + value;
  for (const auto& [key, value] : network.named) text += ":" + key + "=" + value;
  return in_quotes("<" + text + ">");
}

double tag_number(const ExtraNetwork& network, const std::string& text) {
  const auto value = python_float(text);
  if (!value)
    throw ArgumentError(prompt_name, in_quotes(text) + " in " + tag_text(network) + " is no number");
  return *value;
}

int tag_count(const ExtraNetwork& network, const std::string& text) {
  const auto characters = decode_utf8(text);
  const auto digits = to_utf8(without_blank_begin(without_blank_end(characters)));
  int value = 0;
  const auto* begin = digits.data() + (digits.starts_with('+') ? 1 : 0);
  const auto* const end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stopped != end)
    throw ArgumentError(prompt_name, in_quotes(text) + " in " + tag_text(network) + " is no whole number");
  return value;
}

}  // namespace

TaggedPrompt take_extra_networks(std::string_view prompt) {
  const auto characters = decode_utf8(prompt);
  const auto offset = [&](std::size_t i) {
    return i < characters.size() ? static_cast<std::size_t>(characters[i].source) : prompt.size();
  };
  TaggedPrompt result;
  std::size_t copied = 0, i = 0;
  while (i < characters.size()) {
    if (characters[i].code != U'<') {
      ++i;
      continue;
    }
    auto end = i + 1;
    while (end < characters.size() && is_word(characters[end].code)) ++end;
    const bool named = end > i + 1 && end < characters.size() && characters[end].code == U':';
    const auto arguments = named ? offset(end + 1) : 0;
    const auto closing = named ? prompt.find('>', arguments) : prompt.npos;
    if (named && closing == prompt.npos) break;  // none of the rest is closed
    if (!named || closing == arguments) {
      ++i;
      continue;
    }
    result.prompt += prompt.substr(copied, offset(i) - copied);
    result.networks.push_back(network_of(prompt.substr(offset(i + 1), offset(end) - offset(i + 1)),
                                         prompt.substr(arguments, closing - arguments)));
    copied = closing + 1;
    while (i < characters.size() && offset(i) < copied) ++i;
  }
  result.prompt += prompt.substr(copied);
  return result;
}

LoraTag lora_tag(const ExtraNetwork& network) {
  const auto& values = network.positional;
  if (values.empty()) throw ArgumentError(prompt_name, tag_text(network) + " names no file");
  const auto number = [&](std::size_t place, const char* key, double otherwise) {
    const auto named = network.named.find(key);
    if (named != network.named.end()) return tag_number(network, named->second);
    return values.size() > place ? tag_number(network, values[place]) : otherwise;
  };
  LoraTag tag{.name = values[0]};
  if (values.size() > 1) (void)tag_number(network, values[1]);
  tag.text_encoder = number(1, "te", 1.0);
  tag.denoiser = number(2, "unet", tag.text_encoder);
  if (values.size() > 3) tag.dimension = tag_count(network, values[3]);
  if (const auto named = network.named.find("dyn"); named != network.named.end())
    tag.dimension = tag_count(network, named->second);
  return tag;
}

}  // namespace daguerre::text
