from django.db import migrations

FORWARD = """
CREATE FUNCTION template_bodies_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a template body never changes: make a new campaign';
END $$;
CREATE TRIGGER template_bodies_never_change BEFORE UPDATE ON campaigns_templatebody
    FOR EACH ROW EXECUTE FUNCTION template_bodies_never_change();
"""
BACKWARD = """
DROP TRIGGER template_bodies_never_change ON campaigns_templatebody;
DROP FUNCTION template_bodies_never_change();
"""


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
