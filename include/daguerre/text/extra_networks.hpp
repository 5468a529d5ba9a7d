#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::text {

/// A tag `<kind:a:b:key=value>` of a prompt (the web UI's "extra networks").
struct ExtraNetwork {
  std::string kind;
  std::vector<std::string> positional;
  std::map<std::string, std::string> named;
};

/// A prompt without its tags, and the tags in their order.
struct TaggedPrompt {
  std::string prompt;
  std::vector<ExtraNetwork> networks;
};
TaggedPrompt take_extra_networks(std::string_view prompt);

/// What a tag `<lora:name:weight>` asks for.
struct LoraTag {
  std::string name;
  double text_encoder = 1.0;       ///< how strongly it acts on text encoders: the first number, or `te=`
  double denoiser = 1.0;           ///< on the denoiser: the second, or `unet=`; by default as the first
  std::optional<int> dimension{};  ///< rank to cut it to: the third, or `dyn=`

  friend bool operator==(const LoraTag&, const LoraTag&) = default;
};
/// Throws ArgumentError for a tag without a name or with a number that is none.
LoraTag lora_tag(const ExtraNetwork& network);

}  // namespace daguerre::text
