"""Pictures: image sets without the images of a person."""

from msgspec import structs

from lepton_ai.data.erase.subject import ERASED, Subject
from lepton_ai.data.images.manifest import Manifest
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.forget import change_nodes

__all__ = ["remove_images"]


def remove_images(
    workspace: Workspace, subject: Subject, node: Node, places: list[int]
) -> Node | None:
    """Make a version of an image set without some images, where it is the newest of its name.

    The version itself stands for nothing any more; its manifest is left to be forgotten.

    Returns:
        The new version.
    """
    made = None
    if node.digest and workspace.lineage.find("dataset", node.name).id == node.id:
        old = Manifest.from_json(workspace.objects.get(node.digest))
        gone = set(places)
        left = tuple(entry for place, entry in enumerate(old.entries) if place not in gone)
        manifest = Manifest(
            folder=ERASED if subject.named_in(old.folder) else old.folder,
            entries=left,
            rejected=tuple(one for one in old.rejected if not subject.named_in(str(one))),
        )
        classes = dict.fromkeys(node.facts.get("classes", {}), 0)
        for entry in left:
            if entry.label is not None:
                classes[entry.label] += 1
        used = {part.address for entry in left for part in entry.parts}
        facts = {
            **subject.redacted(node.facts),
            "folder": manifest.folder,
            "images": len(left),
            "files": len(used),
            "classes": {label: count for label, count in classes.items() if count},
            "operation": "erase",
        }
        sources = [
            (parent.id, role)
            for role, parent in workspace.lineage.parents(node.id)
            if role == "source" and parent.digest in used
        ]
        with workspace.transaction() as transaction:
            address = transaction.put(manifest.to_json())
            made = transaction.node(
                "dataset", node.name, version=True, digest=address, facts=facts,
                parents=[(node.id, "previous"), *sources], holds=[address, *sorted(used)],
            )  # fmt: skip
    # Without its digest, importing the same files again makes a version anew.
    change_nodes(workspace, [structs.replace(node, digest=None)])
    return made
