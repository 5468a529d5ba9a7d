#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/state_dict.hpp"
#include "weights/denoiser_kinds.hpp"
#include "weights/shape_configs.hpp"

namespace daguerre::weights {

/// Something that a family's denoiser shows by: whether a tensor is there, and what its shape is.
struct Mark {
  enum class Kind { present, absent, rank, extent, multiple };
  std::string_view original, diffusers;  ///< its name in either layout
  Kind kind = Kind::present;
  Index value = 0;  ///< the rank, the extent of axis 1, or how many times the rows of the other one that is
  std::string_view other_original = {}, other_diffusers = {};

  bool operator==(const Mark&) const = default;
};

/// What trained a text encoder, which says how its activation, tokenizer and padding are.
enum class TextKind { clip_l, open_clip, t5, umt5 };

/// A text encoder's place in a family.
struct TextSlot {
  enum class Projection {
    none,    ///< a CLIPTextModel
    own,     ///< a CLIPTextModelWithProjection
    or_unit  ///< the same; where a file has no projection, the vector stays as it is
  };
  std::string_view name;               ///< "text_encoder"
  std::string_view tokenizer;          ///< "tokenizer"
  std::string_view prefix;             ///< of its names in a whole file
  std::string_view other_prefix = {};  ///< that some files have instead; empty: none
  TextKind kind = TextKind::clip_l;
  bool open_clip_names = false;  ///< in a whole file, else transformers'
  Projection projection = Projection::none;
  int most_layers = 0;                             ///< that are used, where files have more; 0: all
  bool required = true;                            ///< without it there are no pictures
  bool gives_states = true, gives_pooled = false;  ///< what the denoiser's widths are made of

  /// Whether it is T5's network, with one table of positions or with many.
  constexpr bool is_t5() const noexcept { return kind == TextKind::t5 || kind == TextKind::umt5; }
};

/// What is published of a family of models; the reference's own class names and settings.
struct FamilyRow {
  std::string_view name, title;
  const DenoiserKind* denoiser = nullptr;
  std::vector<Mark> marks;  ///< all hold, and those of no row before it do
  std::string_view pipeline_class;
  std::string_view index_options;  ///< JSON: what model_index.json says beside its parts
  std::string_view scheduler;      ///< JSON
  std::span<const TextSlot> text;
  LatentScale latents = {};
  std::string_view autoencoder_class = "AutoencoderKL";
  int picture_size = 512;
  int heads = 0;                       ///< of every attention; 0: as many as the kind of denoiser has
  int time_numbers = 6;                ///< that are embedded beside the text in one vector
  std::string_view architecture = {};  ///< ComfyUI-GGUF's name; empty: it has none
};

std::span<const FamilyRow> families();
/// Throws ArgumentError for an unknown name, with those that are known.
const FamilyRow& family_called(std::string_view name);

/// A part that the family needs, in words: "text_encoder_2, a T5 text encoder (as t5xxl_fp16.safetensors)".
std::string part_in_words(const FamilyRow& family, std::string_view part);

/// Where a denoiser is in a file, and what it is.
struct DenoiserPlace {
  std::string prefix;  ///< before its own names
  Layout layout = Layout::original;
  const DenoiserKind* kind = nullptr;
};

/// Whether a mark holds in weights whose denoiser is at `place`.
bool holds(const Mark& mark, const StateDict& weights, const DenoiserPlace& place);
/// The first row of that kind all of whose marks hold; nullptr when there is none.
const FamilyRow* recognised_family(const StateDict& weights, const DenoiserPlace& place);
/// The rows of that kind, two at most, that most of the marks hold of: "sd2 (for: …; against: …)".
std::string nearest_families(const StateDict& weights, const DenoiserPlace& place);

/// The model that an unsupported file is of, by a tensor that only it has; empty when it is none of those
/// that are known by name.
std::string_view unsupported_model(const StateDict& weights);

}  // namespace daguerre::weights
