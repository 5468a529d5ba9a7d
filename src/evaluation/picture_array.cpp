#include <algorithm>
#include <cstring>

#include "core/file_bytes.hpp"
#include "core/sha256.hpp"
#include "core/text.hpp"
#include "evaluation/npz.hpp"
#include "evaluation/picture_source.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* picture_array = "arr_0";  // what numpy calls an array without a name

class PictureArray final : public PictureSource {
 public:
  explicit PictureArray(const std::filesystem::path& file)
      : array_(NpzFile::open(file).array(picture_array)) {
    const auto& shape = array_.shape;
    const bool has_channels = shape.rank() == 4 && (shape[3] == 1 || shape[3] == 3 || shape[3] == 4);
    if (array_.type != "|u1" || array_.fortran_order || !has_channels)
      throw FormatError("picture_set",
                        file.string() + ": array \"" + picture_array + "\" is " + to_string(shape) + " of " +
                            in_quotes(array_.type) + ", expected [N, H, W, 3] of |u1",
                        file);
    if (shape[0] > 0) static_cast<void>(Image(shape[2], shape[1], shape[3]));  // throws for its size
  }

  Index size() const noexcept override { return array_.shape[0]; }
  std::string name(Index index) const override {
    return std::string(picture_array) + "[" + std::to_string(index) + "]";
  }
  Image read(Index index) const override {
    Image result(array_.shape[2], array_.shape[1], array_.shape[3]);
    const auto pixels = result.pixels();
    const auto stored = array_.bytes.subspan(static_cast<std::size_t>(index) * pixels.size(), pixels.size());
    std::memcpy(pixels.data(), stored.data(), pixels.size());
    if (array_.is_mapped) release_pages(stored);
    return result;
  }
  std::optional<std::string> prompt(Index) const override { return std::nullopt; }
  std::string fingerprint() const override {
    Sha256 hash;
    const auto shape = to_string(array_.shape);
    hash.add(std::as_bytes(std::span<const char>(shape)));
    constexpr std::size_t piece = 64 << 20;  // so that little of the file is in memory at once
    for (std::size_t begin = 0; begin < array_.bytes.size(); begin += piece) {
      const auto part = array_.bytes.subspan(begin, std::min(piece, array_.bytes.size() - begin));
      hash.add(part);
      if (array_.is_mapped) release_pages(part);
    }
    return hash.hex();
  }

 private:
  NpyArray array_;
};

}  // namespace

std::shared_ptr<const PictureSource> open_picture_array(const std::filesystem::path& file) {
  return std::make_shared<const PictureArray>(file);
}

}  // namespace daguerre::evaluation
