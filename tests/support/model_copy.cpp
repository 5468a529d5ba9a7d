#include "support/model_copy.hpp"

#include <fstream>

#include "daguerre/weights/safetensors.hpp"
#include "support/golden.hpp"

namespace daguerre::test {
namespace fs = std::filesystem;

ModelCopy::ModelCopy(const std::string& name) : path_(folder_.path() / name) {
  fs::create_directory(path_);
  for (const auto& entry : fs::directory_iterator(golden("pipelines/" + name)))
    if (entry.path().filename() != "runs")
      fs::copy(entry.path(), path_ / entry.path().filename(), fs::copy_options::recursive);
}

void ModelCopy::edit(const std::string& file, const std::function<void(nlohmann::json&)>& change) const {
  auto value = read(file);
  change(value);
  write(file, value.dump(2));
}

void ModelCopy::set(const std::string& file, const nlohmann::json& changes) const {
  edit(file, [&](nlohmann::json& value) { value.update(changes); });
}

nlohmann::json ModelCopy::read(const std::string& file) const {
  return nlohmann::json::parse(read_file(path_ / file));
}

void ModelCopy::write(const std::string& file, const std::string& content) const {
  folder_.write((fs::path(path_.filename()) / file).string(), content);
}

void ModelCopy::remove(const std::string& name) const {
  fs::remove_all(path_ / name);
}

void ModelCopy::move(const std::string& from, const std::string& to) const {
  fs::rename(path_ / from, path_ / to);
}

void ModelCopy::rename_tensors(const std::string& file,
                               const std::function<std::string(const std::string&)>& name) const {
  weights::SafetensorsWriter writer;
  const auto source = weights::SafetensorsFile::open(path_ / file);
  for (const auto& tensor : source.tensors())
    if (const auto renamed = name(tensor.name); !renamed.empty())
      writer.add(renamed, source.read<float>(tensor.name));
  writer.save(path_ / file);
}

}  // namespace daguerre::test
