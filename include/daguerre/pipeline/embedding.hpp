#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre {

/// A textual inversion (Gal et al. 2022): a name that prompts may use, and the vectors that it stands for in
/// the place of token embeddings. Immutable; safe to share between threads and models.
class Embedding {
 public:
  /// A safetensors file: `emb_params` or `string_to_param.*` (AUTOMATIC1111), `clip_l` and `clip_g` (SDXL, SD
  /// 3), or one tensor named after its token (diffusers); `[D]` or `[n, D]`. `name`: by default the token of
  /// diffusers' layout, else the file's name without its ending. Throws FileError, FormatError, and
  /// WeightError for tensors of other names, more axes or vectors than 1000, and for numbers that are not
  /// finite.
  static std::shared_ptr<const Embedding> load(const std::filesystem::path& path, std::string name = {});
  /// From vectors by encoder, see `vectors_for`; one under "" is for whichever it fits. Throws ArgumentError.
  Embedding(std::string name, std::map<std::string, Tensor<float>, std::less<>> vectors,
            std::string source = "embedding");

  const std::string& name() const noexcept { return name_; }
  /// The file, for messages.
  const std::string& source() const noexcept { return source_; }
  /// `[n, D]` for the text encoder of that part ("text_encoder" reads clip_l, "text_encoder_2" clip_g) whose
  /// token embeddings are `width` wide; nullptr where there are none for it. `several`: the model has other
  /// text encoders that it may be meant for. Throws ArgumentError for vectors of another width.
  const Tensor<float>* vectors_for(std::string_view part, Index width, bool several) const;
  /// The same one, but nothing, and no error, to encoders of another width.
  std::shared_ptr<const Embedding> where_it_fits() const;

 private:
  std::string name_, source_;
  std::map<std::string, Tensor<float>, std::less<>> vectors_;
  bool optional_ = false;
};

/// All textual inversions of a folder, `*.safetensors`, by name, each where it fits; files that are none, as
/// LoRAs, are passed over. Throws FileError where there is no such folder, FormatError.
std::vector<std::shared_ptr<const Embedding>> load_embeddings(const std::filesystem::path& folder);

}  // namespace daguerre
