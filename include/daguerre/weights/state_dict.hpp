#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/weights/delta.hpp"
#include "daguerre/weights/safetensors.hpp"

namespace daguerre::weights {

/// A tensor under another name: all of `source`, or `rows` rows of its leading axis from `first_row` on, seen
/// in another shape, transposed or with its halves exchanged. Nothing is copied; what is asked for is read
/// from the file then.
struct RenamedTensor {
  std::string name;
  std::string source;
  Index first_row = 0;
  Index rows = -1;  ///< -1: all
  /// Another shape for as many elements: a convolution of one pixel as the matrix that it is.
  std::optional<Shape> shape = std::nullopt;
  bool transposed = false;      ///< two axes, exchanged
  bool halves_swapped = false;  ///< the second half of the rows comes first
};

/// Which names of weight files are looked for in a folder: `diffusion_pytorch_model.safetensors` is
/// diffusers', `model.safetensors` is transformers'.
struct WeightNames {
  enum class Library { any, diffusers, transformers };
  Library library = Library::any;  ///< whose names come first; any: diffusers'
  bool only = false;               ///< the other library's do not count, as where two parts share a folder
  /// "fp16" for `model.fp16.safetensors` and the indexes of such shards, or what lies in a folder "fp16";
  /// nothing else is taken then. Empty: names without a variant, and those of fp16, bf16 and fp32 where
  /// there are no others.
  std::string variant = {};
};

/// The named tensors of one network, from one file or several shards. It remembers which tensors
/// were asked for, so that a loader can report those that nobody wanted. Copies share that memory and may be
/// used from several threads.
class StateDict {
 public:
  /// `path` is a safetensors or GGUF file (told by what it begins with), a `.safetensors.index.json` of a
  /// sharded model, or a component's folder, in which `names` are looked for: whole files and indexes of
  /// shards; where there are none, those of the variants fp16, bf16 and fp32. Throws FileError when nothing
  /// is found (naming what was looked for; where only pickle files — .bin, .ckpt, .pt, .pth — are present,
  /// saying how to convert them), FormatError for malformed files (duplicate tensors, shards outside the
  /// index's folder), WeightError when a shard lacks a tensor that the index promises.
  static StateDict load(const std::filesystem::path& path, const SafetensorsOptions& options = {},
                        const WeightNames& names = {});
  explicit StateDict(std::vector<SafetensorsFile> files);
  /// The tensors of files of any kind; `source` is what to call the whole in messages.
  StateDict(std::vector<std::shared_ptr<const TensorFile>> files, std::string source);
  /// Whether `load` would find weights of such names in a component's folder; nothing is opened. A model of
  /// which a variant is asked for has some parts without: these are then loaded as if none were.
  static bool is_there(const std::filesystem::path& folder, const WeightNames& names);

  /// The same files under the given names alone; a source may serve several names. What was asked for is
  /// counted anew. Throws WeightError for a source that is missing, has no such rows, as many elements, two
  /// axes or two halves, FormatError for a name used twice.
  StateDict renamed(const std::vector<RenamedTensor>& tensors) const;

  /// These tensors and those of `other`, whose files are kept, too; messages name this one. What was asked
  /// for is counted anew. Throws FormatError for a name that both have.
  StateDict joined(const StateDict& other) const;

  /// The same tensors with `deltas` applied as they are read: `weight` gives sources whose rows are changed
  /// on their way out, `tensor` changed floats; nothing is copied, and `renamed` works on top as on any
  /// other. What was asked for is counted anew. Throws WeightError for names that are not there and deltas of
  /// other shapes.
  StateDict with_deltas(const Deltas& deltas) const;

  bool contains(std::string_view name) const;
  /// nullptr when there is no such tensor. Does not count as asking for it.
  const TensorInfo* find(std::string_view name) const;
  /// The tensor as float32. Throws WeightError when it is missing (naming the nearest names that exist) or
  /// its shape is not `expected`: `[weights] FILE: tensor "x" has shape […], the config asks for […]`. The
  /// storage comes from `pool`, where one is given.
  Tensor<float> tensor(std::string_view name, const Shape& expected, const MemoryPool* pool = nullptr) const;
  /// The tensor as it is stored, for an engine; it keeps the file open. Throws as `tensor` does.
  ops::WeightSource weight(std::string_view name, const Shape& expected) const;
  /// Whether its numbers are computed as they are read, from blocks or with deltas, in whatever way the
  /// tensor is then rearranged. Throws WeightError when it is missing. Does not count as asking for it.
  bool is_computed(std::string_view name) const;
  /// Tells the system that nothing of the files will be needed soon: mapped pages no longer count as this
  /// process's memory. They come back when they are read, as layers that were not packed do.
  void release_pages() const noexcept;
  /// The shape of a stored tensor; WeightError when missing. Does not count as asking for it.
  Shape shape(std::string_view name) const;

  /// The elements of a tensor as they are stored, `element_type(find(name)->dtype)` each, in the order of its
  /// shape; not aligned. They are in the file; those of blocks and of a transposed one are put into
  /// `scratch`. Throws WeightError when missing. Does not count as asking for it.
  std::span<const std::byte> bytes(std::string_view name, std::vector<std::byte>& scratch) const;
  /// As `release_pages`, for one tensor. Throws WeightError when it is missing.
  void release_pages(std::string_view name) const;

  /// What the tensor is called in the file.
  std::string_view source_name(std::string_view name) const;

  /// All names, sorted; of files that supply what is asked for (TensorFile::supply), those that were.
  std::vector<std::string> names() const;
  /// Whether any name begins with `prefix`.
  bool contains_below(std::string_view prefix) const;
  /// Names never asked for through `tensor` or `weight`, sorted.
  std::vector<std::string> unused() const;
  /// The `__metadata__` of all its files; what an earlier one says counts.
  std::map<std::string, std::string> metadata() const;
  /// What to call the whole in messages: the path it was loaded from.
  const std::string& source() const;
  /// The file that holds it; of several, the folder or index they were loaded by. Empty for what is in
  /// memory.
  const std::filesystem::path& path() const noexcept;

 private:
  struct State;
  explicit StateDict(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// A StateDict seen from inside a module: `scope.sub("attn1").sub("to_q").tensor("weight", {c, c})`.
class Scope {
 public:
  Scope(StateDict weights, std::string prefix = {})
      : weights_(std::move(weights)), prefix_(std::move(prefix)) {}

  /// The scope of a child module. `sub(3)` is `sub("3")`, for lists of modules.
  Scope sub(std::string_view child) const;
  Scope sub(int child) const { return sub(std::to_string(child)); }

  bool contains(std::string_view name) const;
  /// As StateDict::tensor, with the prefix put before `name`.
  Tensor<float> tensor(std::string_view name, const Shape& expected, const MemoryPool* pool = nullptr) const;
  /// As StateDict::weight.
  ops::WeightSource weight(std::string_view name, const Shape& expected) const;
  /// The shape of a stored tensor; WeightError when missing.
  Shape shape(std::string_view name) const;
  /// The full name of the module, for messages ("down_blocks.0.resnets.1").
  const std::string& prefix() const noexcept { return prefix_; }
  const StateDict& weights() const noexcept { return weights_; }

 private:
  std::string full(std::string_view name) const;
  StateDict weights_;
  std::string prefix_;
};

}  // namespace daguerre::weights
