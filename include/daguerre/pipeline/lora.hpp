#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre {

namespace weights {
class AdapterFile;
}

struct LoraOptions {
  /// Keys that fit nothing in the model are passed over and counted; otherwise they are an error.
  bool partial = false;
  /// A weight for each block of the denoiser; see weights::AdapterOptions. Empty: all 1.
  std::vector<float> block_weights{};
};

/// A loaded adapter: LoRA and its kin (LoCon, LoHa, LoKr, (IA)^3, DoRA, whole differences) in any of the
/// layouts that weights::AdapterFile reads. Immutable; one serves any number of pipelines and threads.
class Lora {
 public:
  /// Throws FileError, FormatError or WeightError, naming the file and what is wrong with it.
  static std::shared_ptr<const Lora> load(const std::filesystem::path& path, const LoraOptions& options = {});
  /// From what a host has read itself; `name` is what people call it.
  Lora(std::string name, weights::AdapterFile file, bool partial = false);

  /// The file's name without what follows its last dot.
  const std::string& name() const noexcept { return name_; }
  const weights::AdapterFile& file() const noexcept { return *file_; }
  bool accepts_partial() const noexcept { return partial_; }

 private:
  std::string name_;
  std::shared_ptr<const weights::AdapterFile> file_;
  bool partial_;
};

/// A LoRA and how much of it. Several add up; a weight of 0 is none, a negative one takes away.
struct LoraUse {
  std::shared_ptr<const Lora> lora{};
  float weight = 1;
  std::optional<float> text_encoder_weight{};  ///< by default as `weight`

  float text_weight() const noexcept { return text_encoder_weight.value_or(weight); }
  bool operator==(const LoraUse&) const = default;
};

/// What a LoRA changes in a model.
struct LoraInfo {
  std::string name;
  float weight = 1, text_encoder_weight = 1;
  std::map<std::string, std::size_t> modules;  ///< that it changes, by the model's parts ("unet": 192)
  std::size_t unmatched = 0;                   ///< keys of the file that fit nothing, where that is accepted
  bool at_load = true;                         ///< else for a request
};

/// A LoRA as settings and prompts name it.
struct LoraMention {
  std::string name;
  float weight = 1;
  std::optional<float> text_encoder_weight{};
  bool operator==(const LoraMention&) const = default;
};
/// "style:0.8, thick outlines:1:0.5": name, weight and, where it is another, that of the text encoders; a
/// backslash stands before a comma, colon or backslash of a name. This is what the picture's settings say
/// under `Loras`.
std::string lora_mentions(std::span<const LoraInfo> loras);
/// The same read again. Throws FormatError for what was not written so.
std::vector<LoraMention> parse_lora_mentions(std::string_view text);

/// A LoRA by the name that a prompt or a picture's settings give it. Throws ArgumentError where there is
/// none.
using FindLora = std::function<std::shared_ptr<const Lora>(std::string_view name)>;

/// Finds LoRAs in a folder and those below it, by their files' names without `.safetensors`. Those in use are
/// kept, and given out again. Safe from many threads; copies are the same.
class LoraFolder {
 public:
  explicit LoraFolder(std::filesystem::path folder, LoraOptions options = {});
  /// Throws ArgumentError for a name that is not there, naming those that may be meant, and for one that
  /// several files have; what Lora::load throws.
  std::shared_ptr<const Lora> operator()(std::string_view name) const;
  /// All names, sorted. Throws FileError for a folder that cannot be read.
  std::vector<std::string> names() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace daguerre
