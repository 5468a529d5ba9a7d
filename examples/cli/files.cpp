#include "files.hpp"

#include <fstream>
#include <random>
#include <string>
#include <system_error>

#include <daguerre/core/error.hpp>
#include <daguerre/core/layout.hpp>
#include <daguerre/weights/safetensors.hpp>

namespace daguerre::cli {

namespace fs = std::filesystem;

void check_writable(std::string_view option, const fs::path& path) {
  std::error_code error;
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error))
    throw FileError(option, path.string() + ": there is no folder " + folder.string() +
                                "; make it first (mkdir -p " + folder.string() + ")");
  if (fs::is_directory(path, error))
    throw FileError(option, path.string() + ": is a folder; name a file, in it or beside it");
  auto probe = path;
  probe.concat("." + std::to_string(std::random_device{}()) + ".tmp");
  const bool opened = std::ofstream(probe).is_open();
  fs::remove(probe, error);
  if (!opened) throw FileError(option, path.string() + ": cannot be written in " + folder.string());
}

fs::path numbered(const fs::path& path, int number) {
  auto name = path.stem();
  name += "_" + std::to_string(number);
  name += path.extension();
  return path.parent_path() / name;
}

Tensor<float> read_latents(const fs::path& path) {
  const auto file = weights::SafetensorsFile::open(path);
  const auto tensors = file.tensors();
  const auto* info = file.find("latents");
  if (info == nullptr && tensors.size() == 1) info = &tensors[0];
  if (info == nullptr)
    throw FormatError("latents", path.string() +
                                     ": expected a tensor \"latents\" or one tensor only, found " +
                                     std::to_string(tensors.size()) + " others");
  if (info->shape.rank() != 4)
    throw FormatError("latents", path.string() + ": tensor \"" + info->name + "\" has shape " +
                                     to_string(info->shape) + ", expected [N, C, h, w]");
  return to_channels_last(file.read<float>(info->name));
}

void write_latents(const fs::path& path, const Tensor<float>& latents) {
  weights::SafetensorsWriter writer;
  writer.add("latents", to_channels_first(latents));
  writer.save(path);
}

}  // namespace daguerre::cli
