#include "daguerre/evaluation/picture_set.hpp"

#include <algorithm>
#include <system_error>

#include "evaluation/picture_source.hpp"

namespace daguerre::evaluation {

struct PictureSet::State {
  std::filesystem::path path;
  std::shared_ptr<const PictureSource> source;
  Index size = 0;

  Index checked(Index index) const {
    if (index < 0 || index >= size)
      throw ArgumentError("picture_set", path.string() + ": there is no picture " + std::to_string(index) +
                                             " of " + std::to_string(size));
    return index;
  }
};

PictureSet PictureSet::open(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::exists(path, error)) throw FileError("picture_set", path.string() + ": is not there", path);
  auto source = open_picture_shards(path);
  if (source == nullptr && fs::is_directory(path, error))
    source = open_picture_folder(path);
  else if (source == nullptr && path.extension() == ".npz")
    source = open_picture_array(path);
  if (source == nullptr)
    throw ArgumentError(
        "picture_set",
        path.string() + ": expected a folder of pictures or of shards, a .tar or an .npz file");
  const Index size = source->size();
  if (size == 0) throw ArgumentError("picture_set", path.string() + ": there are no pictures in it");
  return PictureSet(std::make_shared<const State>(State{path, std::move(source), size}));
}

PictureSet PictureSet::first(Index count) const {
  if (count < 1) throw ArgumentError("picture_set", std::to_string(count) + " pictures are no set");
  auto part = *state_;
  part.size = std::min(part.size, count);
  return PictureSet(std::make_shared<const State>(std::move(part)));
}

const std::filesystem::path& PictureSet::path() const noexcept {
  return state_->path;
}

Index PictureSet::size() const noexcept {
  return state_->size;
}

std::string PictureSet::name(Index index) const {
  return state_->source->name(state_->checked(index));
}

Image PictureSet::read(Index index) const {
  return state_->source->read(state_->checked(index));
}

std::optional<std::string> PictureSet::prompt(Index index) const {
  return state_->source->prompt(state_->checked(index));
}

std::string PictureSet::fingerprint() const {
  auto whole = state_->source->fingerprint();
  if (state_->size == state_->source->size()) return whole;
  return whole + "/" + std::to_string(state_->size);
}

}  // namespace daguerre::evaluation
