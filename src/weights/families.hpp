#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// How the names of a network follow one another.
enum class Layout { original, diffusers };

/// Something that a family's U-Net shows by: whether a tensor is there, and what its shape is.
struct Mark {
  enum class Kind { present, absent, rank, extent };
  std::string_view original, diffusers;  ///< its name in either layout
  Kind kind = Kind::present;
  Index value = 0;  ///< the rank, or the extent of axis 1
};

/// A text encoder's place in a family.
struct TextSlot {
  std::string_view name;               ///< "text_encoder"
  std::string_view tokenizer;          ///< "tokenizer"
  std::string_view prefix;             ///< of its names in a whole file
  std::string_view other_prefix = {};  ///< that some files have instead; empty: none
  bool open_clip = false;              ///< its names there are open_clip's, else transformers'
  bool projects = false;               ///< a CLIPTextModelWithProjection
  int most_layers = 0;                 ///< that are used, where files have more; 0: all
};

/// What is published of a family of models; the reference's own class names and settings.
struct FamilyRow {
  std::string_view name, title;
  std::vector<Mark> marks;  ///< all hold, and no other family's do
  std::string_view pipeline_class;
  std::string_view index_options;  ///< JSON: what model_index.json says beside its parts
  std::string_view scheduler;      ///< JSON
  std::span<const TextSlot> text;
  double vae_scaling = 0.18215;
  int picture_size = 512;
  int heads = 0;  ///< of every attention; 0: one for each 64 channels
};

std::span<const FamilyRow> families();
/// Throws ArgumentError for an unknown name, with those that are known.
const FamilyRow& family_called(std::string_view name);

/// Whether a mark holds in weights whose U-Net has `prefix` before its names.
bool holds(const Mark& mark, const StateDict& weights, std::string_view prefix, Layout layout);
/// The row all of whose marks hold; nullptr when there is none.
const FamilyRow* recognised_family(const StateDict& weights, std::string_view prefix, Layout layout);
/// The two rows that most of the marks hold of: "sd2 (for: …; against: …)".
std::string nearest_families(const StateDict& weights, std::string_view prefix, Layout layout);

/// The model that an unsupported file is of, by a tensor that only it has; empty when it is none of those
/// that are known by name.
std::string_view unsupported_model(const StateDict& weights);

}  // namespace daguerre::weights
